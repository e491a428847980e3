"""The command line. Modules here parse, print and map errors; what a command does is asked of the other rooms.

Nothing here imports grpc, pulumi or rich until a command that runs a program needs them.
"""
