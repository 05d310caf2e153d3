//! The one YAML file: read with places, checked whole, turned into what each step uses.
