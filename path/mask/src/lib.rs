//! Step eight and a half: what policy does not reveal is masked, exactly, however it is cut into chunks.
