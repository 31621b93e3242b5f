"""How fast a model is on this machine: what `samlet bench` measures, each model, backend and precision in a process of
its own. Import the module you need: a process that starts must set its threads before it loads anything large.
"""
