"""What a deployment is: resource states, their JSON on disk, the encryption of secrets. No file is opened here."""
