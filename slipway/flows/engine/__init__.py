"""An engine for TaskFlow's flows, found as `slipway` among TaskFlow's engines: an atom costs the same in every flow."""
