"""What goes out: the bundle of model, feature map and calibrator, and the tables it scores."""
