#!/usr/bin/python3
#SBATCH --output=result.txt
#SBATCH --ntasks=1
print("hello")
