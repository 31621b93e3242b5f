"""The cache of weights and what fills it: downloads, mirrors, files of the user."""
