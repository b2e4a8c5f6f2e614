#!/bin/bash
#SBATCH --mail-type=END,FAIL --mail-user=alice@example.org
#SBATCH --constraint="a100|h100"
#SBATCH --exclusive
#SBATCH --gres=gpu:a100:4,nvme:100G
#SBATCH --nodes=2-4
#SBATCH --dependency=singleton
#SBATCH --mem=0
#SBATCH --time=UNLIMITED
#SBATCH --export=ALL,SEED=1
#SBATCH -w node[1-3]
#SBATCH --output=%4.out
#SBATCH --partition=a,b
#SBATCH --signal=B:USR1@120
#SBATCH --nonsense=1 --nod=3
#SBATCH hetjob
#PBS -l nodes=2
srun hostname
cat <<END
#SBATCH --time=1
END
