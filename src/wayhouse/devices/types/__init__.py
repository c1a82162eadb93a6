"""The types of devices that ship; `register.standard_register` lists them."""
