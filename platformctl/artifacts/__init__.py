"""Every program, image and chart a site needs: one catalogue, several sources, one store.

The catalogue (catalogue.yml) says what there is; a source (`modules`, `upstream`, `mirror`) makes or
downloads it; the store (<cache>/store/<source>/) is what the playbooks read. Nothing here talks to a host.
"""
