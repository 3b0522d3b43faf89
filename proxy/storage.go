package proxy

import (
	"mkd/config"
	"mkd/proxy/certs"
)

// shareCertificates makes certs keep certificates where several nodes share them, if
// the configuration has such a place. It connects to nothing yet.
func (d *Daemon) shareCertificates(c *config.Storage) error {
	if c.Redis == nil {
		return nil
	}
	secret, err := readSecret(c.Redis.SecretFile)
	if err != nil {
		return err
	}
	connection, err := redisConnection(&c.Redis.Redis)
	if err != nil {
		return err
	}
	client, err := connection.Client()
	if err != nil {
		return err
	}
	shared, err := certs.NewRedisStorage(client, c.Redis.Prefix, secret)
	if err != nil {
		return err
	}
	d.certs.Share(shared)
	return nil
}
