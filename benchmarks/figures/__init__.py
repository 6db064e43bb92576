"""What is drawn from the CSVs alone; nothing here imports JAX."""
