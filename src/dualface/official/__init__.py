"""Official weights: files that the methods' authors published, read without trust, into files that training takes."""
