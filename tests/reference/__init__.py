"""The method a second time: NumPy alone, written from the printed equations, slow and plain.

Nothing here imports the package. A network is given as it is written (a dict), with its parameters by name.
"""
