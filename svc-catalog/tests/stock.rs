mod expire;
mod hot;
mod mixed;
mod record_movement;
mod release;
mod reserve;
mod sell;
mod set;
