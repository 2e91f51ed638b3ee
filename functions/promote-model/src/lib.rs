//! millstream-promote-model
