"""A zoom lens, a camera and a motor that do not exist, and behave as real ones do."""
