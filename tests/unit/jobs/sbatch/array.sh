#!/bin/bash
#SBATCH --job-name=Sweep_01
#SBATCH --array=0-99%10          # ten at a time
#SBATCH --time=02:30:00
#SBATCH --mem-per-cpu=2G --cpus-per-task=4
#SBATCH -p batch -A physics
#SBATCH --output=logs/%x-%A_%a.out
#SBATCH --error="logs/%x-%A_%a.err"

module load python/3.11
srun python sweep.py --index "$SLURM_ARRAY_TASK_ID"
