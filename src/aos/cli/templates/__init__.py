"""What `aos init` writes: for each template a folder with its manifest and readme, and a module of sample tools beside it.

The modules are copied into the user's folder and run there: they import nothing but the standard library.
"""
