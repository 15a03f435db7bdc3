"""dualface: deepfake detection on two levels, frame and video, where fakes are rare."""
