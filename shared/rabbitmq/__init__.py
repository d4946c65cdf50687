"""The broker that is a server: RabbitMQ, spoken to with pika."""
