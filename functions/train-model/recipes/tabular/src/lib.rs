//! millstream-recipe-tabular
