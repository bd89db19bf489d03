"""The frozen dataclasses that cross every boundary. Sizes are bytes, times are aware UTC datetimes, addresses are text.

Their fields are plain enough for the one codec of `slipway.states.codec` to store them and give them back as they were.
"""
