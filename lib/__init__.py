"""Consistent multi-task learning for ultrasound images: one nodule, three tasks (its class, its
outline, its outline with a class) and the losses that keep the three answers in agreement.
"""
