"""CycleGAN: two generators and two discriminators, trained against each other."""
