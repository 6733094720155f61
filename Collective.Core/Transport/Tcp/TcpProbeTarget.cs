using System.Diagnostics;
using System.Net.Sockets;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>The measuring end of one probe: counts what comes over all its connections together, until the rate is stable or the time is over.</summary>
internal sealed class TcpProbeTarget(ProbePlan plan, ITransportEvents events) : IDisposable
{
    private const int ScrapBytes = 64 * 1024;
    private const int PollUs = 20_000;

    // Guards the fields below between the connections' threads and the peer's loop.
    private readonly Lock _gate = new();
    private readonly List<(Socket Socket, byte Index)> _connections = [];
    private readonly Stopwatch _sinceHello = new();
    private readonly Stopwatch _sinceFirstByte = new();
    private RateEstimate? _estimate;
    private long _bytes;
    private bool _over;

    public PeerId From => plan.From.Id;

    /// <summary>Receives on one connection until the probe is over.</summary>
    public void Receive(Socket socket, DataHello hello)
    {
        lock (_gate)
        {
            if (_over || _connections.Exists(c => c.Index == hello.Index))
            {
                return;
            }

            _connections.Add((socket, hello.Index));
            _estimate ??= new RateEstimate((long)Math.Min(hello.Extra, Limits.LinkConnectMsMax * 1000UL));
            _sinceHello.Start();
        }

        var scrap = GC.AllocateUninitializedArray<byte>(ScrapBytes);
        try
        {
            for (var received = -1; received != 0 && Count(Math.Max(received, 0));)
            {
                received = socket.Poll(PollUs, SelectMode.SelectRead) ? socket.Receive(scrap) : -1;
            }

            End("the sender closed the connection before there was anything to measure");
        }
        catch (SocketException e)
        {
            End(e.Message);
        }
        catch (ObjectDisposedException)
        {
            // It is over.
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            Close();
        }
    }

    /// <summary>False when the probe is over.</summary>
    private bool Count(int received)
    {
        lock (_gate)
        {
            if (received > 0)
            {
                _sinceFirstByte.Start();
                _bytes += received;
            }

            return !_over && _sinceFirstByte.ElapsedMilliseconds < Limits.ProbeMsMax && _sinceHello.ElapsedMilliseconds < Limits.ProbeReplyMsMax
                && !(_bytes > 0 && _estimate!.Add((long)_sinceFirstByte.Elapsed.TotalMicroseconds, _bytes));
        }
    }

    /// <summary>Tells the result, once, and closes the connections, which the sender takes for the end. What comes first decides: the rate, if there is one by then.</summary>
    private void End(string detail)
    {
        double? rate;
        lock (_gate)
        {
            if (_over)
            {
                return;
            }

            rate = _estimate!.Rate;
            Close();
        }

        events.ProbeDone(plan.Number, rate >= 1 ? (ulong)rate.Value : null, rate >= 1 ? "" : $"{detail} (from {plan.From.Address})");
    }

    private void Close()
    {
        _over = true;
        _connections.ForEach(c => c.Socket.Dispose());
    }
}
