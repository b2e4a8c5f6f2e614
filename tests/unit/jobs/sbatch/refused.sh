#!/bin/bash
#SBATCH --mail-type=END,FAIL --mail-user=alice@example.org
#SBATCH --constraint="a100|h100"
#SBATCH --exclusive
#SBATCH --gres=gpu:a100:4,nvme:100G
#SBATCH --nodes=2-4
#SBATCH --dependency=afterok:Someone
#SBATCH --mem=0 --mem-per-cpu=1G
#SBATCH --time=tomorrow
#SBATCH --export=ALL,SEED-1
#SBATCH -w node[1-3]
#SBATCH --uid=alice
#SBATCH --hint=everything
#SBATCH --signal=B:USR1@soon
#SBATCH --nonsense=1 --nod=3
#PBS -l nodes=2
srun hostname
cat <<END
#SBATCH --time=1
END
