#!/bin/sh
#SBATCH -n 6
#SBATCH -n 8 -c2
# a value may stand on the next directive line
#SBATCH --account
#SBATCH physics
#SBATCH --gpus=8 --gpus-per-task=1 --mem-per-gpu=8G
hostname
#SBATCH --time=5     # after the first command: a remark
