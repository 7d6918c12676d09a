"""What generators and discriminators are both made of: normalisation and initialisation."""
