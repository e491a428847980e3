"""What a month of a stack costs, from its settings and a dated price table. Imports no pulumi and no cloud SDK."""
