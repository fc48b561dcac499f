"""What a deployment of Nightshelf runs on, as local processes: `python -m scripts.services`."""
