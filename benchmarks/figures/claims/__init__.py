"""What the paper claims, and what is needed to judge that by the rows: one module per benchmark."""
