#!/bin/bash -l
#SBATCH --gres=gpu:2
#SBATCH --cpus-per-gpu=8
#SBATCH --mem=64000
#SBATCH --time=90
#SBATCH --export=OMP_NUM_THREADS=8,MODE="a b"
#SBATCH --chdir="/scratch/alice/run 1"
#SBATCH -o train.%j.log --open-mode=append
export OMP_NUM_THREADS=8
python train.py
