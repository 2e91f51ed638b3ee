"""Tests of what the image recipes share. They need Python alone: `python3 -m unittest discover -t . -s contract/tests`."""
