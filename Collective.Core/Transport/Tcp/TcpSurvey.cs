using System.Net.Sockets;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>Finds out which peers' data ports accept a connection, many at a time on one thread. Nothing is said on these connections.</summary>
internal static class TcpSurvey
{
    public static void Start(SurveyPlan plan, TimeSpan timeout, ITransportEvents events) => new Thread(() =>
    {
        try
        {
            events.Surveyed(plan.Epoch, [.. plan.Targets.Chunk(Limits.SurveyedAtOnceMax).SelectMany(targets => FindUnreachable(targets, timeout))]);
        }
        catch (Exception e)
        {
            events.Failed(e);
        }
    }, maxStackSize: 256 * 1024)
    { IsBackground = true, Name = "collective-survey" }.Start();

    public static List<ushort> FindUnreachable(SurveyTarget[] targets, TimeSpan timeout)
    {
        var unreached = targets.Select(t => t.Rank).ToHashSet();
        var waiting = new Dictionary<Socket, ushort>();
        try
        {
            foreach (var target in targets)
            {
                Dial(target.Rank, target.Member.Address, waiting, unreached);
                if (target.Member.Alternative is { } alternative)
                {
                    Dial(target.Rank, alternative, waiting, unreached);
                }
            }

            var deadline = Environment.TickCount64 + (long)timeout.TotalMilliseconds;
            while (waiting.Count > 0 && deadline - Environment.TickCount64 is > 0 and var leftMs)
            {
                var decided = waiting.Keys.ToList();
                Socket.Select(null, decided, null, TimeSpan.FromMilliseconds(leftMs));
                foreach (var socket in decided)
                {
                    if (waiting.Remove(socket, out var rank) && (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)! == 0)
                    {
                        unreached.Remove(rank);
                    }

                    socket.Dispose();
                }
            }

            return [.. targets.Select(t => t.Rank).Where(unreached.Contains)];
        }
        finally
        {
            foreach (var socket in waiting.Keys)
            {
                socket.Dispose();
            }
        }
    }

    private static void Dial(ushort rank, PeerAddress address, Dictionary<Socket, ushort> waiting, HashSet<ushort> unreached)
    {
        Socket? socket = null;
        try
        {
            var endPoint = address.ToEndPoint();
            socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
            socket.Connect(endPoint);
            socket.Dispose(); // At once: that is reached.
            unreached.Remove(rank);
        }
        catch (SocketException e) when (socket is not null && e.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
        {
            waiting.Add(socket, rank);
        }
        catch (SocketException)
        {
            if (socket is null)
            {
                unreached.Remove(rank); // This host gave no socket, which says nothing about the other.
            }

            socket?.Dispose();
        }
    }
}
