# In truth a namespace without a module of its own; here one, so that these stubs are all that a checker sees of it.
