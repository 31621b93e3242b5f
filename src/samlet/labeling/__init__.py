"""Labels any number of images, restartable: a job in shards, workers, sinks, engines for one machine or many."""
