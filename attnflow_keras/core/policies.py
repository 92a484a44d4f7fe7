"""The dtype policies of flows."""

# Log-determinants need at least float32, which plain float16 and bfloat16 lack.
POLICIES = ("float32", "float64", "mixed_float16", "mixed_bfloat16")
