"""What `patrol bench` measures: a bench in each file, and the station, brokers and clocks that they share."""
