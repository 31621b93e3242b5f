"""Students whose image encoder is the backbone of one of samlet's classifiers."""
