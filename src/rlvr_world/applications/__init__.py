"""What world models are good for, whatever the modality."""
