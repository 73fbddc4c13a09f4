module hauberk.test/strangers

go 1.21
