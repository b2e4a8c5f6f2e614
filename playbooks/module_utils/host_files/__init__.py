"""Parts of the module host_files, one idea each."""
