def add_arguments(p): pass
def prove(a,c): return True
