"""Training: a stage is a module that turns a batch into named losses; one trainer runs any stage."""
