"""Space groups, standard cells and prototypes."""
