#!/usr/bin/env bash
#SBATCH --dependency=afterok:4711:4712,afterany:4713
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --hold
#SBATCH --comment="the third step: 'merge'"
#SBATCH --time=00:10:00 --quiet
#SBATCH --input=/data/parts.txt

cat > merged.txt
