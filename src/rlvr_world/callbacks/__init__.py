"""What runs beside training: validation rewards, samples, throughput."""
