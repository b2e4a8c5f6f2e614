#!/bin/bash
#SBATCH -N 4
#SBATCH --ntasks-per-node=32
#SBATCH -t 1-12
#SBATCH --mem=128G
#SBATCH --partition=parallel
#SBATCH --no-requeue
##SBATCH --exclusive

# what follows is for people
module purge
module load openmpi/4.1
srun ./wave --grid 512
