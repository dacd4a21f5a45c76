module kmsbox

go 1.21
