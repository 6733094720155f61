using System.Net;
using System.Net.Sockets;
using Collective.Protocol;
using Collective.Transport.Tcp;
using NUnit.Framework;

namespace Collective.Transport.Tests;

/// <summary>Connections as they are made.</summary>
internal sealed class DialingTests
{
    /// <summary>The system may give a connection the very port that it goes to: TCP then connects it to itself, though nobody listens.</summary>
    [TestCase("127.0.0.1")]
    [TestCase("::1")]
    public void AConnectionToItselfIsRefused(string host)
    {
        var address = IPAddress.Parse(host);
        using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(address, 0));
        }
        catch (SocketException e)
        {
            Assert.Ignore($"this host has no {host}: {e.Message}");
        }

        var own = (IPEndPoint)socket.LocalEndPoint!;
        var refused = Assert.Throws<SocketException>(() => Dialing.Connect(socket, own, TimeSpan.FromSeconds(30)));
        Assert.That(refused!.SocketErrorCode, Is.EqualTo(SocketError.ConnectionRefused));
        using var next = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        next.Bind(own);
        next.Listen();
    }

    [Test]
    public void OurConnectionsLeaveTheDefaultPorts()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        for (var i = 0; i < 20; i++)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            Dialing.Connect(socket, (IPEndPoint)listener.LocalEndPoint!, TimeSpan.FromSeconds(30));
            if (!OperatingSystem.IsLinux() || Environment.OSVersion.Version < new Version(6, 3))
            {
                Assert.Ignore("the system does not let us choose");
            }

            Assert.That(((IPEndPoint)socket.LocalEndPoint!).Port, Is.LessThan(48148));
        }
    }

    [Test]
    public void TheAlternativeIsTriedWhenTheAddressFails()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using var closed = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        closed.Bind(new IPEndPoint(IPAddress.Loopback, 0)); // Bound, so that nobody else listens there.
        listener.Listen();
        var (good, bad) = (EndPoints.ToPeerAddress((IPEndPoint)listener.LocalEndPoint!), EndPoints.ToPeerAddress((IPEndPoint)closed.LocalEndPoint!));
        var kept = new List<Socket>();
        using (var socket = Dialing.Dial(new Member(default, bad, good), TimeSpan.FromSeconds(30), kept.Add))
        {
            Assert.That(socket, Is.SameAs(kept[^1]));
            Assert.That(socket.RemoteEndPoint, Is.EqualTo(listener.LocalEndPoint));
        }

        var failure = Assert.Throws<SocketException>(() => Dialing.Dial(new Member(default, bad, bad), TimeSpan.FromSeconds(30), kept.Add));
        Assert.That(failure!.SocketErrorCode, Is.EqualTo(SocketError.ConnectionRefused));
        Assert.That(failure.Message, Is.EqualTo($"Connection refused, and Connection refused at {bad}"));
        Assert.That(kept, Has.Count.EqualTo(4));
    }

    /// <summary>Who is reached by the second address is reached.</summary>
    [Test]
    public void ASurveyTriesBothAddresses()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using var closed = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        closed.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var (good, bad) = (EndPoints.ToPeerAddress((IPEndPoint)listener.LocalEndPoint!), EndPoints.ToPeerAddress((IPEndPoint)closed.LocalEndPoint!));
        SurveyTarget[] targets = [new(3, new Member(default, bad, good)), new(4, new Member(default, bad)), new(5, new Member(default, good, bad)), new(6, new Member(default, bad, bad))];
        Assert.That(TcpSurvey.FindUnreachable(targets, TimeSpan.FromSeconds(30)), Is.EqualTo(new ushort[] { 4, 6 }));
    }
}
